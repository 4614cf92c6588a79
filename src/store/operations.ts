import { assignmentOperations } from './assignment.js';
import { dutyOperations } from './duty-operations.js';
import { homeAgentOperations } from './home-agent-operations.js';
import { importOperations } from './import-operations.js';
import { leaseOperations } from './lease-operations.js';
import { sessionOperations } from './session-operations.js';
import { storeOperations } from './store-operations.js';
import { subscriberOperations } from './subscriber-operations.js';

/** All operations of the store, by name. */
export const operations = {
  ...subscriberOperations,
  ...homeAgentOperations,
  ...assignmentOperations,
  ...leaseOperations,
  ...sessionOperations,
  ...dutyOperations,
  ...importOperations,
  ...storeOperations,
} as const;

type Operations = typeof operations;

export type OperationName = keyof Operations;
/** Operations that operators cannot request. */
export type InternalName = {
  [N in OperationName]: Operations[N] extends { readonly administrative: false } ? N : never;
}[OperationName];
export type ArgumentsOf<N extends OperationName> = Parameters<Operations[N]['run']>[1];
export type ResultOf<N extends OperationName> = Awaited<ReturnType<Operations[N]['run']>>;
