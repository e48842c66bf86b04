// What the profiles `voicehub` and `utel` call event types: the same table as shared/domain/src/profile/names.json, which a
// browser cannot read. Data only; a type that has no name in a profile never reaches its endpoints.

/** `eventType`, and `status` where the event's data names none that the profile knows. */
export const VOICEHUB = {
  'call.queued': { name: 'CallStatusChanged', status: 'queued' },
  'call.started': { name: 'CallStatusChanged', status: 'started' },
  'call.status_changed': { name: 'CallStatusChanged' },
  'call.ended': { name: 'CallStatusChanged', status: 'completed' },
  'call.failed': { name: 'CallStatusChanged', status: 'failed' },
  'recording.ready': { name: 'RecordingsAvailable' },
  'analysis.ready': { name: 'AnalysisResultReady' },
};

/** The states of a call that `voicehub` knows. */
export const VOICEHUB_STATUSES = [
  'started', 'queued', 'completed', 'in-progress', 'failed', 'cancelled', 'unanswered', 'scheduled', 'busy', 'voicemail',
];

const TRANSFERRED = {
  name: 'call_blind_transferred',
  by_kind: { blind: 'call_blind_transferred', attended: 'call_attended_transferred' },
};

/** `data.event`, by `data.kind` where it has one of these. */
export const UTEL = {
  'call.started': { name: 'call_started' },
  'call.ended': { name: 'call_ended' },
  'call.failed': { name: 'call_ended' },
  'dial.started': { name: 'dial_started' },
  'dial.answered': { name: 'dial_answered' },
  'dial.ended': { name: 'dial_ended' },
  'transfer.completed': TRANSFERRED,
  'call.transferred': TRANSFERRED,
  'recording.ready': { name: 'call_saved' },
};
