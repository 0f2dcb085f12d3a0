// The gateway that the test has started, and its visitor.
import { createInterface } from 'node:readline';

export const scene = JSON.parse(process.env.SCENE);

/** Sends the user to a URL of the gateway. Returns the URL that the user comes back to. */
export async function visit(url) {
  const lines = createInterface({ input: process.stdin });
  console.log(`visit ${url}`);
  const back = await new Promise((resolve) => lines.once('line', resolve));
  lines.close();
  return back;
}

/** Tells the test how far we are. */
export function done(step) {
  console.log(`done ${step}`);
}
