import { it } from 'vitest';
import { killServer } from '../daemons/crash.js';

it('An AAA server killed 200 times on SQLite keeps its promises and leaves no lease behind', {
  timeout: 900_000,
}, async () => {
  await killServer(undefined, 11);
});
