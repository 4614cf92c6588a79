import type { RefinementCtx } from 'zod';

/** Refuses an encryption that sessions cannot have. `peers`: of a PAA. */
export function refuseEncryption(
  { sa, encryption, peers }: { readonly sa: string; readonly encryption: string; readonly peers?: string },
  context: RefinementCtx,
): void {
  if (encryption !== 'required') return;
  const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['pana', 'encryption'], message });
  if (sa === 'optional')
    refuse('required: a session without a PANA SA cannot be encrypted; it needs pana.sa: required');
  if (peers === 'legacy') refuse('required: pana.peers: legacy is for old clients, which cannot encrypt');
}
