import { assignmentOperations } from './assignment.js';
import { homeAgentOperations } from './home-agent-operations.js';
import { importOperations } from './import-operations.js';
import { leaseOperations } from './lease-operations.js';
import { sessionOperations } from './session-operations.js';
import { storeOperations } from './store-operations.js';
import { subscriberOperations } from './subscriber-operations.js';

/** Each runs inside a transaction of its caller's, on either database. */
export const operations = {
  ...subscriberOperations,
  ...homeAgentOperations,
  ...assignmentOperations,
  ...leaseOperations,
  ...sessionOperations,
  ...importOperations,
  ...storeOperations,
} as const;

export type OperationName = keyof typeof operations;
