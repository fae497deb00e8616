// The HTTP handler of the peers: one undici pool, as fast as a Node client gets.
import { Pool } from 'undici';

export interface Poster {
  post(body: object): Promise<void>;
  close(): Promise<void>;
}

export function openPoster(url: string, connections: number): Poster {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections, pipelining: 1 });
  return {
    async post(body) {
      const reply = await pool.request({
        method: 'POST',
        path: pathname,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      // Like a dispatcher that keeps the result: the reply is read and parsed.
      await reply.body.json();
      if (reply.statusCode !== 200) throw new Error(`target answered ${reply.statusCode}`);
    },
    close: () => pool.close(),
  };
}
