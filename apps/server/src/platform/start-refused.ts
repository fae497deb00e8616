/** Why the program does not start, for whoever started it: the message says all there is to say, no stack is shown. */
export class StartRefused extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'StartRefused';
  }
}
