/** The page "Descend" over the state in its address. */

import { newStore } from "./state.js";
import { mountDescend } from "./whole.js";

mountDescend(newStore());
