/**
 * Listens to the signals whose default action a daemon must not have, before anything else is loaded: SIGUSR1 opens Node's
 * debugger, SIGUSR2 ends the process. `runs`: SIGHUP asks a daemon for a reload, and ends a command with its terminal.
 */
export function listenEarly(runs: boolean): void {
  process.on('SIGUSR1', ignore);
  process.on('SIGUSR2', ignore);
  // The configuration is read later: what this signal asks for is going to be done.
  if (runs) process.on('SIGHUP', ignore);
}

function ignore(): void {
  // A listener replaces the default action.
}
