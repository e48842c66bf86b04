// Why deliveries are dead: a name for each reason, what it means and what to do, in the reader's language.
import { t } from '../../lib/i18n.js';

/* messages: dead-letters.reason.* */

/// The API's reasons, in the order in which they are offered.
export const REASONS = ['attempts_exhausted', 'gone', 'blocked', 'event_missing', 'record_expired'];

/// What a reason means and what to do. What this console does not know is told in the server's words.
export const reasonText = (reason, sentence) =>
  (REASONS.includes(reason) ? t(`dead-letters.reason.${reason}.text`) : sentence);

export const reasonName = (reason) =>
  (REASONS.includes(reason) ? t(`dead-letters.reason.${reason}.name`) : reason ?? t('dead-letters.reason.none'));
