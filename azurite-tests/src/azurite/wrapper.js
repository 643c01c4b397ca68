// Runs one of Azurite's programs in this process, and ends when standard input closes: whoever
// started us is then gone, killed or not, and nothing must be left behind.
const [script, ...args] = process.argv.slice(1);
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
process.argv = [process.argv[0], script, ...args];
require(script);
