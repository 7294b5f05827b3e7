"""Greek letters and their LaTeX commands."""

from __future__ import annotations

# A letter may have several commands; the last of each letter is the one that is printed.
_TABLE = """
alpha α, beta β, gamma γ, delta δ, epsilon ε, zeta ζ, eta η, vartheta θ, theta θ, iota ι, kappa κ, lambda λ, mu μ, nu ν,
xi ξ, omicron ο, rho ρ, sigma σ, tau τ, upsilon υ, varphi φ, phi φ, chi χ, psi ψ, omega ω, Gamma Γ, Delta Δ, Theta Θ,
Lambda Λ, Xi Ξ, Sigma Σ, Phi Φ, Psi Ψ, Omega Ω, varepsilon ε
"""
LETTER_OF: dict[str, str] = {pair.split()[0]: pair.split()[1] for pair in _TABLE.split(",")}
COMMAND_OF: dict[str, str] = {letter: command for command, letter in LETTER_OF.items()} | {"π": "pi"}
