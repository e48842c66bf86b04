//! Prices, each with where it is from, and what is assumed where nothing can be counted: how long functions run, how Lambda
//! polls. All in one file, prices.json.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Unreadable;

/// The file.
const PRICES: &str = include_str!("prices.json");

/// What AWS takes, and what is assumed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The region of the prices.
    pub region: String,
    /// The day they were looked up.
    pub read_at: String,
    /// Each of them.
    pub prices: BTreeMap<String, Price>,
    /// What cannot be counted.
    pub assumed: Assumed,
}

/// The price of something.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Dollars.
    pub usd: f64,
    /// For so many.
    pub per: f64,
    /// What of.
    pub what: String,
    /// AWS's page, which shows its numbers to browsers only.
    pub source: String,
    /// A page that repeats the number and was read; none was found for some.
    pub confirmed_by: Option<String>,
}

/// What is assumed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    /// Memory of every function: as in template.yaml, which a test compares.
    pub memory_mb: u64,
    /// Milliseconds of a request to ingest: three calls of AWS one after the other.
    pub ingest_ms: u64,
    /// Microseconds that each event adds to it.
    pub ingest_event_us: u64,
    /// Milliseconds of a batch of the dispatcher besides its receivers: its records.
    pub batch_ms: u64,
    /// Milliseconds of a pass of the sweeper with nothing to do.
    pub sweep_ms: u64,
    /// Receives of a mapping that wait at once. With a maximum concurrency Lambda does not go below five.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
    pub pollers: u64,
    /// Seconds that each waits: the longest that SQS allows. Lambda's own is not documented.
    pub poll_s: u64,
}

impl Prices {
    /// The prices that this program was built with.
    ///
    /// # Errors
    /// [`Unreadable`] if they are none.
    pub fn built_in() -> Result<Self, Unreadable> {
        Ok(serde_json::from_str(PRICES)?)
    }

    /// Dollars for so much of something; 0 for what has no price, which a test rules out.
    #[must_use]
    pub fn of(&self, name: &str, amount: f64) -> f64 {
        self.prices
            .get(name)
            .map_or(0.0, |price| price.usd / price.per * amount)
    }
}
