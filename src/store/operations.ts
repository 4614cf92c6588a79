import { assignmentOperations } from './assignment.js';
import { dutyOperations } from './duty-operations.js';
import { homeAgentOperations } from './home-agent-operations.js';
import { homeAgentSessionOperations } from './home-agent-session-operations.js';
import { importOperations } from './import-operations.js';
import { leaseOperations } from './lease-operations.js';
import type { StoreClass } from './operation.js';
import { serviceOperations } from './service-operations.js';
import { serviceServerOperations } from './service-server-operations.js';
import { sessionOperations } from './session-operations.js';
import { storeOperations } from './store-operations.js';
import { subscriberOperations } from './subscriber-operations.js';

/** All operations of the store, by name. */
export const operations = {
  ...subscriberOperations,
  ...homeAgentOperations,
  ...assignmentOperations,
  ...homeAgentSessionOperations,
  ...leaseOperations,
  ...sessionOperations,
  ...dutyOperations,
  ...importOperations,
  ...serviceServerOperations,
  ...serviceOperations,
  ...storeOperations,
} as const;

type Operations = typeof operations;

/** The class of each operation. */
export const operationClasses = Object.fromEntries(
  Object.entries(operations).map(([name, { measuredAs }]) => [name, measuredAs]),
) as Readonly<Record<OperationName, StoreClass>>;

export type OperationName = keyof Operations;
/** Arguments and result of each operation, in the form in which the machines of the protocol state theirs. */
export type OperationTypes = {
  readonly [N in OperationName]: readonly [
    given: Parameters<Operations[N]['run']>[1],
    result: Awaited<ReturnType<Operations[N]['run']>>,
  ];
};
export type ArgumentsOf<N extends OperationName> = OperationTypes[N][0];
export type ResultOf<N extends OperationName> = OperationTypes[N][1];
