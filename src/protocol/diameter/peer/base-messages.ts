import { answerTo, errorAnswer } from '../wire/answers.js';
import { type DiameterMessage, FLAG } from '../wire/codec.js';
import { APPLICATION, type CommandSpec, DPA, DPR, DWA, DWR } from '../wire/commands.js';
import { type Content, type Grammarian, isViolation } from '../wire/grammar.js';
import { RESULT } from '../wire/result-codes.js';
import type { LocalCapabilities } from './capabilities.js';

/** Creates DWR, DPR and their answers (RFC 6733 5.4, 5.5). */
export class BaseMessages {
  readonly #grammarian: Grammarian;
  readonly #local: LocalCapabilities;

  constructor(grammarian: Grammarian, local: LocalCapabilities) {
    this.#grammarian = grammarian;
    this.#local = local;
  }

  dwr(): DiameterMessage {
    const content = { ...this.#origin(), 'Origin-State-Id': this.#local.originStateId };
    return this.#grammarian.message(DWR, APPLICATION.COMMON, content);
  }

  /** `cause`: Disconnect-Cause, RFC 6733 5.4.3. */
  dpr(cause: number): DiameterMessage {
    return this.#grammarian.message(DPR, APPLICATION.COMMON, { ...this.#origin(), 'Disconnect-Cause': cause });
  }

  dwa(request: DiameterMessage): DiameterMessage {
    const content = { ...this.#success(), 'Origin-State-Id': this.#local.originStateId };
    return this.#answer(request, DWR, DWA, content);
  }

  dpa(request: DiameterMessage): DiameterMessage {
    return this.#answer(request, DPR, DPA, this.#success());
  }

  #answer<A extends CommandSpec>(
    request: DiameterMessage,
    spec: CommandSpec,
    answer: A,
    content: Content<A>,
  ): DiameterMessage {
    const read =
      request.flags & FLAG.E
        ? { resultCode: RESULT.INVALID_HDR_BITS, failedAvp: undefined, text: 'a request with the E bit' }
        : this.#grammarian.read(spec, request);
    return isViolation(read)
      ? errorAnswer(this.#grammarian, this.#local.origin, request, read)
      : answerTo(request, this.#grammarian.write(answer, content));
  }

  #origin() {
    const { host, realm } = this.#local.origin;
    return { 'Origin-Host': host, 'Origin-Realm': realm } as const;
  }

  #success() {
    return { 'Result-Code': RESULT.SUCCESS, ...this.#origin() } as const;
  }
}

/** Whether a message is this command of the base protocol (application 0). */
export function isBase({ commandCode, flags, applicationId }: DiameterMessage, spec: CommandSpec): boolean {
  return (
    commandCode === spec.code &&
    applicationId === APPLICATION.COMMON &&
    (flags & FLAG.R) === (spec.request ? FLAG.R : 0)
  );
}
