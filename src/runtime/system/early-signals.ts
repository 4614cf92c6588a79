/**
 * Replaces the default actions of signals before anything else is loaded: SIGUSR1 would open Node's debugger, SIGUSR2
 * would end the process. `runs`: for `run`, SIGHUP requests a reload; for other commands, it ends the process with its
 * terminal.
 */
export function listenEarly(runs: boolean): void {
  process.on('SIGUSR1', ignore);
  process.on('SIGUSR2', ignore);
  // The configuration is read later, so the requested reload happens anyway.
  if (runs) process.on('SIGHUP', ignore);
}

function ignore(): void {
  // A listener replaces the default action.
}
