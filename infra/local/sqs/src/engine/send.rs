//! Sending. A message is checked whole before anything changes.

use std::sync::Arc;

use super::Engine;
use crate::digest::{self, hex};
use crate::error::{SqsError, too_long};
use crate::limits;
use crate::message::{AttributeContent, AttributeValue, Message, MessageAttributes, Outgoing, Sent, Standing};
use crate::record::Record;

impl Engine {
    pub(crate) fn send(&mut self, now_ms: i64, number: u32, outgoing: Outgoing) -> Result<Sent, SqsError> {
        outgoing.check()?;
        let attributes = &self.queue(number)?.attributes;
        let limit_bytes = attributes.message_bytes as usize;
        if outgoing.size_bytes() > limit_bytes {
            return Err(too_long(limit_bytes));
        }
        let delay_s = match outgoing.delay_s {
            Some(delay_s) => limits::in_bounds("DelaySeconds", delay_s, 0, limits::DELAY_S)?,
            None => attributes.delay_s,
        };
        let body_md5 = digest::of_body(&outgoing.body);
        // The sender compares the digest with that of what it sent, not of what is kept.
        let attributes_md5 = digest::of_attributes(&outgoing.attributes);
        let attributes = outgoing.attributes.into_iter();
        let kept = attributes.map(|(name, value)| (name, value.kept())).collect();
        let system_attributes_md5 = outgoing.trace_header.as_deref().map(digest_of_trace_header);
        let serial = self.next_serial;
        self.next_serial += 1;
        let message = Message {
            serial,
            body: Arc::from(outgoing.body),
            body_md5,
            attributes: Arc::new(kept),
            group: outgoing.group.map(Arc::from),
            trace_header: outgoing.trace_header.map(Arc::from),
            sent_at_ms: now_ms,
            standing: if delay_s == 0 {
                Standing::Visible
            } else {
                Standing::Delayed
            },
            visible_at_ms: now_ms.saturating_add(i64::from(delay_s) * 1000),
            receive_count: 0,
            receives: None,
            source: None,
            ticket: 0,
        };
        self.commit(Record::Stored { queue: number, message });
        Ok(Sent {
            message_id: digest::message_id(self.store_id, serial),
            body_md5: hex(&body_md5),
            attributes_md5: attributes_md5.map(|md5| hex(&md5)),
            system_attributes_md5,
        })
    }
}

fn digest_of_trace_header(header: &str) -> String {
    let value = AttributeValue {
        data_type: "String".to_owned(),
        content: AttributeContent::Text(header.to_owned()),
    };
    let attributes = MessageAttributes::from([("AWSTraceHeader".to_owned(), value)]);
    digest::of_attributes(&attributes)
        .map(|md5| hex(&md5))
        .unwrap_or_default()
}
