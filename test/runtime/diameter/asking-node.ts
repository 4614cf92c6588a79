import type { ApplicationOutput, Target, Token } from '../../../src/protocol/diameter/node/application.js';
import type { DiameterMessage } from '../../../src/protocol/diameter/wire/codec.js';
import { DiameterNode, type DiameterNodeOptions } from '../../../src/runtime/diameter/node.js';

export interface AskingNodeOptions extends Omit<DiameterNodeOptions, 'perform'> {
  /** Answers a request. If it rejects, the request is not served. */
  readonly onRequest: (message: DiameterMessage, peer: string) => Promise<DiameterMessage>;
}

/** A Diameter node whose application is a test, with promises in place of tokens. */
export class AskingNode extends DiameterNode {
  readonly #asked: Map<Token, (output: Exclude<ApplicationOutput, { type: 'serve' }>) => void>;
  #last: Token = 0;

  constructor({ onRequest, ...options }: AskingNodeOptions) {
    const asked = new Map<Token, (output: Exclude<ApplicationOutput, { type: 'serve' }>) => void>();
    super({
      ...options,
      perform: (output) => {
        if (output.type !== 'serve') {
          asked.get(output.token)?.(output);
          asked.delete(output.token);
          return;
        }
        const { token, message, peer } = output;
        onRequest(message, peer).then(
          (answer) => this.feed({ type: 'answer', token, message: answer }),
          () => this.feed({ type: 'unserved', token }),
        );
      },
    });
    this.#asked = asked;
  }

  /** Resolves with the answer, whatever its Result-Code; rejects with the reason of `failed`. */
  request(message: DiameterMessage, target: Target | string, timeout: number): Promise<DiameterMessage> {
    return new Promise((resolve, reject) => {
      this.#last += 1;
      const token = this.#last;
      this.#asked.set(token, (output) => {
        if (output.type === 'answered') resolve(output.message);
        else reject(new Error(`${output.code}: ${output.text}`));
      });
      const to = typeof target === 'string' ? { peers: [target] } : target;
      this.feed({ type: 'request', token, message, target: to, timeout });
    });
  }
}
