// `node scripts/main.mjs COMMAND …`: what every npm script calls. A command is a file beside this one.

const [command, ...args] = process.argv.slice(2);
const commands = ["bench", "bench-relay", "build", "check", "fuzz", "relay", "simulate", "site", "size", "start", "test"];

if (!commands.includes(command)) {
  console.error(`usage: node scripts/main.mjs ${commands.join("|")}`);
  process.exit(2);
}
try {
  const { main } = await import(`./${command}.mjs`);
  await main(args);
} catch (error) {
  console.error(`\n${command}: ${error.expected ? error.message : error.stack}`);
  process.exitCode = 1;
}
