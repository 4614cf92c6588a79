/** The control socket of a daemon whose configuration names no other. */
export function defaultSocket(name: string): string {
  return `/var/run/${name}/control.sock`;
}
