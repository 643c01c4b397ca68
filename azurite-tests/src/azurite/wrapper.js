// Runs one of Azurite's programs in this process, and ends when standard input closes: whoever
// started us is then gone, killed or not, and nothing must be left behind.
const path = require("path");
const [script, ...args] = process.argv.slice(1);
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
// Every minute the queue service (every ten minutes the blob service) looks for what deleted
// messages left behind and removes it piece by piece, 4 to 20 ms each, answering nobody meanwhile:
// 8 s after 2,000 messages, 3 min after 10,000. We do not live long enough to need that.
const service = path.basename(path.dirname(script));
if (service !== "table") {
  const constants = require(path.resolve(script, "../utils/constants"));
  if (typeof constants.DEFAULT_GC_INTERVAL_MS !== "number") {
    throw new Error("this version of Azurite says elsewhere how often it collects garbage");
  }
  constants.DEFAULT_GC_INTERVAL_MS = 2 ** 31 - 1;
}
process.argv = [process.argv[0], script, ...args];
require(script);
