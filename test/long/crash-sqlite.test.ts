import { it } from 'vitest';
import { KILLS, killServer } from '../daemons/crash.js';

it(`An AAA server killed ${KILLS} times on SQLite keeps its promises and leaves no lease behind`, {
  timeout: 900_000,
}, async () => {
  await killServer(undefined, 11);
});
