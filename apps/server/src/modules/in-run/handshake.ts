// What client and server tell each other about themselves, in headers of every call.

/** Answer to the version a client says it is; advisory only. */
export function sdkHeaders(version: unknown): Record<string, string> {
  const given =
    typeof version === 'string' && /^[\x21-\x7e]{1,64}$/.test(version) ? version : undefined;
  const major = Number(/^v?(\d{1,9})/.exec(given ?? '')?.[1] ?? 0);
  return {
    'x-sdk-version-accepted': given ?? 'legacy',
    'x-sdk-capabilities': major >= 2 ? 'progress,checkpoint,usage' : 'none',
  };
}
