// What the peers' programs have in common: answers are lines of JSON, orders are lines on standard
// input, and when that ends so does the program.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

export const say = (words) => process.stdout.write(JSON.stringify(words) + '\n');

// The documents of a file, one JSON object a line.
export async function* documents(path) {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  for await (const line of lines) yield JSON.parse(line);
}

export async function orders(known) {
  for await (const line of createInterface({ input: process.stdin })) await known[line]?.();
  process.exit(0);
}
