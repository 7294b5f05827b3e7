/** The rules for the lab's page and for its tests. */

import js from "@eslint/js";
import globals from "globals";

const VAGUE = ["found", "told", "made", "given", "asked", "place", "thing", "one"]; // names that say nothing of the value

export default [
  { ignores: ["**/vendor/**", "site/**", "dist/**", "build/**", "out/**", ".venv*/**", ".tools/**"] },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "id-denylist": ["error", ...VAGUE],
      "no-shadow": "error",
      "no-unused-vars": ["error", { ignoreRestSiblings: true }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": ["error", { destructuring: "all" }],
    },
  },
  { files: ["src/**/*.js"], languageOptions: { globals: { ...globals.browser, d3: "readonly" } } },
  { files: ["tests/**/*.js", "*.js"], languageOptions: { globals: { ...globals.node, d3: "readonly" } } },
];
