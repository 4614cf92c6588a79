import type { Socket } from 'node:dgram';

/** How often binding is tried again, in milliseconds. */
const RETRY = 20;

/**
 * Binds a socket to a source address (undefined: any) as soon as this host has it, and then calls `bound` once: a hook adds a
 * home address only after the IKE_SA is up. Later errors of the socket are lost datagrams.
 */
export function bindWhenPossible(socket: Socket, from: string | undefined, bound: () => void): void {
  let isBound = false;
  socket.once('listening', () => {
    isBound = true;
    bound();
  });
  const bind = () => socket.bind(0, from);
  socket.on('error', () => {
    if (!isBound) setTimeout(bind, RETRY);
  });
  bind();
}
