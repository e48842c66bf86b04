// The console's components, in one place to import from. What each takes is written beside it in ui/*.js.
export { Button, Field, TextInput, TextArea, Select, Checkbox, Switch, TagInput } from './ui/form.js';
export { Dialog, Confirm, Drawer, Menu } from './ui/overlay.js';
export { Table, Pager, Tabs, Stat, KeyValue, Card } from './ui/data.js';
export { State, toneOf } from './ui/state.js';
export { FilterBar, rangeOf, fromLocalInput, toLocalInput } from './ui/filters.js';
export { Empty, Loading, ErrorBox, Notice, Progress, startToasts, useToast } from './ui/feedback.js';
export { Bdi, Code, Copy, Id, Secret, copyText } from './ui/text.js';
export { PageHead } from './ui/head.js';
export { later, useAsync, usePages } from './ui/async.js';
export { Icon } from './icons.js';
