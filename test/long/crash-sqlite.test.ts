import { it } from 'vitest';
import { KILLS, killServer } from '../daemons/crash.js';

it(`An AAA server killed ${KILLS} times on SQLite loses no granted lease and leaves no lease behind`, {
  timeout: 900_000,
}, async () => {
  await killServer(undefined, 11);
});
