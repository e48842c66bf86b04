// Where the keyboard goes on after a refusal: the field that is wrong; if that is a group of fields, it is brought into view.

/** @param {HTMLElement|null} form */
export function goToBlamed(form) {
  const field = form?.querySelector('[aria-invalid="true"]');
  if (field) {
    field.focus();
    return;
  }
  const group = form?.querySelector('fieldset:has(> .field-error)');
  const first = group?.querySelector('input:checked') ?? group?.querySelector('input');
  first?.focus({ preventScroll: true });
  group?.scrollIntoView({ block: 'nearest' });
}
