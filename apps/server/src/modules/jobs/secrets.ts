// The two secrets of a job: sealed for its id, so that a record moved to another job does not open.
import { Failure } from '../../platform/failure.ts';
import type { Keyring } from '../../platform/crypto/keyring.ts';
import type { FailureCode } from '../../domain/failures.ts';

export interface SecretInput {
  readonly endpoint_signing_secret?: string | null;
  readonly webhook_secret?: string | null;
}

/** As the columns hold them: bytea in PostgreSQL's text form, and base64. */
export interface SealedSecrets {
  readonly endpoint_signing_secret_enc?: string | null;
  readonly webhook_secret?: string | null;
}

interface Place {
  readonly project_id: string;
  readonly job_id: string;
}

export interface JobSecrets {
  /** Absent stays absent; null and "" become null. @throws Failure when there is no encryption key */
  seal(input: SecretInput, place: Place): SealedSecrets;
  openSigningSecret(sealed: Uint8Array | null, place: Place): string | null;
  openWebhookSecret(sealed: string | null, place: Place): string | null;
}

export function createJobSecrets(keyring: Keyring | undefined): JobSecrets {
  const contextOf = (column: string, { project_id, job_id }: Place) => ({
    table: 'jobs',
    column,
    project_id,
    logical_key: job_id,
  });
  const need = (field: string): Keyring => {
    if (keyring) return keyring;
    const message = 'needs ENCRYPTION_KEY, which this server does not have';
    throw new Failure<FailureCode>('invalid_job', {
      message: `body.${field}: ${message}`,
      details: [{ path: `body.${field}`, message }],
    });
  };
  const sealOne = (field: string, column: string, plain: string | null, place: Place) =>
    plain === null || plain === '' ? null : need(field).seal(plain, contextOf(column, place));

  return {
    seal({ endpoint_signing_secret: signing, webhook_secret: webhook }, place) {
      const sealed: {
        endpoint_signing_secret_enc?: string | null;
        webhook_secret?: string | null;
      } = {};
      if (signing !== undefined) {
        const column = 'endpoint_signing_secret_enc';
        const record = sealOne('endpoint_signing_secret', column, signing, place);
        sealed.endpoint_signing_secret_enc = record && `\\x${record.toString('hex')}`;
      }
      if (webhook !== undefined) {
        const record = sealOne('webhook_secret', 'webhook_secret', webhook, place);
        sealed.webhook_secret = record && record.toString('base64');
      }
      return sealed;
    },
    openSigningSecret: (sealed, place) =>
      sealed &&
      need('endpoint_signing_secret').open(sealed, contextOf('endpoint_signing_secret_enc', place)),
    openWebhookSecret: (sealed, place) =>
      sealed === null
        ? null
        : need('webhook_secret').open(
            Buffer.from(sealed, 'base64'),
            contextOf('webhook_secret', place),
          ),
  };
}
