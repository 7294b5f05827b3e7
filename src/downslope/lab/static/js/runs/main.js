/** The page "Runs": everything put together. */

import { mountShell } from "../shell.js";
import { copies } from "../exporting.js";
import { byId } from "../elements.js";
import { mountComparison } from "./comparison.js";
import { Looking, connect } from "./flow.js";
import { mountList } from "./list.js";
import { mountRun } from "./run.js";
import { newStore } from "./state.js";

const page = new Looking(newStore());
connect(page);
mountShell(page, () => page.look());
mountList(page);
mountRun(page);
mountComparison(page);
copies(byId("none-copy"), () => byId("none-command").textContent);
page.look();
