/**
 * Files that were opened, kept by the browser for a day, so that a page that is reloaded has them after the lab was restarted.
 *
 * By key: a digest of name and content, which the lab computes. Without storage, as in private windows, nothing is kept.
 */

const DAY = 86_400_000; // milliseconds
const MOST = 4;

/** @returns {Promise<IDBDatabase>} */
function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("downslope", 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore("files", { keyPath: "key" }));
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

/**
 * @template Result
 * @param {IDBRequest<Result>} request
 * @returns {Promise<Result>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

/** Keep a file. @param {string} key @param {File} file */
export async function keep(key, file) {
  try {
    const store = (await opened()).transaction("files", "readwrite").objectStore("files");
    await done(store.put({ key, file, at: Date.now() }));
    const all = /** @type {{ key: string, at: number }[]} */ (await done(store.getAll()));
    const latest = all.toSorted((earlier, later) => later.at - earlier.at);
    for (const [index, old] of latest.entries()) if (index >= MOST || Date.now() - old.at > DAY) store.delete(old.key);
  } catch {
    // It is there for the next reload, and not necessary.
  }
}

/** Return a file that was kept less than a day ago. @param {string} key @returns {Promise<File | undefined>} */
export async function kept(key) {
  try {
    const entry = await done((await opened()).transaction("files").objectStore("files").get(key));
    return entry && Date.now() - entry.at < DAY ? entry.file : undefined;
  } catch {
    return undefined;
  }
}
