import { randomInt } from 'node:crypto';

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz';

/** `ver_` and 12 characters: unguessable, and with 36¹² of them never the same twice. */
export function newVersionId(): string {
  let id = 'ver_';
  for (let index = 0; index < 12; index += 1) id += alphabet[randomInt(36)];
  return id;
}
