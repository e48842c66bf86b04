//! `template.yaml` as the run on one machine reads it: tables, queues, event source mappings and schedules, so that what
//! runs here is what is deployed. What it does not understand is an error with a name, never passed over in silence.

mod conditions;
pub(crate) mod document;
mod resources;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use conditions::UndecidedError;

use crate::dynamodb::{Attribute, AttributeKind, IndexDescription, Key, Projection, TableDescription};
use resources::{
    AttributeDefinition, AttributeType, Event, FunctionProperties, KeyElement, KeyType, ProjectionProperties,
    QueueProperties, Resource, ScheduleProperties, SqsEventProperties, TableProperties,
};

/// The template that is deployed, as this program was built with it.
pub(crate) const BUILT_IN: &str = include_str!("../../../../template.yaml");

/// What it includes: where it says that the file is, and the file.
const BUILT_IN_INCLUDED: (&str, &str) = (
    "infra/operations.yaml",
    include_str!("../../../../infra/operations.yaml"),
);

/// What a function must answer a batch with; without it, one failed record would bring back its nine neighbours.
const PARTIAL_RESPONSE: &str = "ReportBatchItemFailures";

/// Most records of a batch that one receive can fetch.
const MAX_BATCH: usize = 10;

/// Resources that exist only on AWS.
const WITHOUT_MEANING: [&str; 12] = [
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
];

/// What runs on one machine. Every thing goes by its name in the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The tables.
    pub tables: Vec<TableDescription>,
    /// The queues.
    pub queues: Vec<Queue>,
    /// What fetches messages for functions.
    pub mappings: Vec<EventSourceMapping>,
    /// What calls functions by the clock.
    pub schedules: Vec<Schedule>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// The visibility timeout in seconds: how long a received message is kept from others.
    pub visibility_s: u32,
    /// How long a message is kept, in seconds.
    pub retention_s: u32,
    /// Where a message goes that was received too often.
    pub redrive: Option<Redrive>,
}

/// A redrive policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The queue that takes the message.
    pub target: String,
    /// After so many receives.
    pub max_receives: u32,
}

/// An event source mapping. It reports partial failures; the template may have no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSourceMapping {
    /// The function that it calls.
    pub function: String,
    /// How long the function may take.
    pub timeout: Duration,
    /// The queue that it fetches from.
    pub queue: String,
    /// Most records of a batch, 1 to 10.
    pub batch_size: usize,
    /// How long it waits for a batch to fill.
    pub window: Duration,
    /// Most batches at once.
    pub maximum_concurrency: usize,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The function that it calls.
    pub function: String,
    /// The time from one call to the next.
    pub every: Duration,
}

/// The template cannot be run on one machine.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no YAML, or has a tag that CloudFormation does not know.
    #[error("the template is no YAML of CloudFormation")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// A section that templates do not have, or that is not understood.
    #[error("the template is not understood")]
    Document(#[source] serde_json::Error),
    /// A condition, or a parameter that needs an answer, which nobody gives here.
    #[error("resource {resource} cannot be decided with the defaults of the parameters")]
    Undecided {
        /// The resource.
        resource: String,
        /// What it needs.
        source: UndecidedError,
    },
    /// A file that the template includes and that is not there for whoever reads the template.
    #[error("the template includes {location}, which is not there")]
    NotIncluded {
        /// The file, as the template names it.
        location: String,
    },
    /// A property that is missing, wrong or unknown.
    #[error("resource {resource} is not understood")]
    Property {
        /// The resource.
        resource: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Something that can be read and cannot be run.
    #[error("resource {resource}: {problem}")]
    Unsupported {
        /// The resource.
        resource: String,
        /// Why not.
        problem: String,
    },
}

impl Template {
    /// The template that this program was built with.
    ///
    /// # Errors
    /// [`TemplateError`] if it is not understood; a test sees to it that it is.
    pub fn built_in() -> Result<Self, TemplateError> {
        Self::including(BUILT_IN, |location| match BUILT_IN_INCLUDED {
            (there, text) if there == location => Ok(text.to_owned()),
            _ => Err(TemplateError::NotIncluded {
                location: location.to_owned(),
            }),
        })
    }

    /// Reads a file, and the one that it includes if it does.
    ///
    /// # Errors
    /// [`TemplateError`] names what is not understood.
    pub fn from_file(path: &Path) -> Result<Self, TemplateError> {
        let text = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| TemplateError::File {
                path: path.to_owned(),
                source,
            })
        };
        Self::including(&text(path)?, |location| text(&path.with_file_name(location)))
    }

    /// Reads a template that includes nothing.
    ///
    /// # Errors
    /// [`TemplateError`] names what is not understood.
    pub fn read(yaml: &str) -> Result<Self, TemplateError> {
        Self::including(yaml, |location| {
            Err(TemplateError::NotIncluded {
                location: location.to_owned(),
            })
        })
    }

    fn including(
        yaml: &str,
        included: impl FnOnce(&str) -> Result<String, TemplateError>,
    ) -> Result<Self, TemplateError> {
        let mut template = Self {
            tables: Vec::new(),
            queues: Vec::new(),
            mappings: Vec::new(),
            schedules: Vec::new(),
        };
        for (name, resource) in document::resources(yaml, included)? {
            template.add(&name, resource)?;
        }
        template.check_references()?;
        Ok(template)
    }

    /// A queue by its name.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    fn add(&mut self, name: &str, resource: Value) -> Result<(), TemplateError> {
        let resource: Resource = parse(name, resource)?;
        match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => self.tables.push(table(name, parse(name, resource.properties)?)?),
            "AWS::SQS::Queue" => self.queues.push(queue(name, parse(name, resource.properties)?)),
            "AWS::Serverless::Function" => {
                let properties: FunctionProperties = parse(name, resource.properties)?;
                let timeout = Duration::from_secs(properties.timeout.into());
                for event in properties.events.into_values() {
                    match event {
                        Event::Sqs(event) => self.mappings.push(mapping(name, timeout, event)?),
                        Event::Schedule(event) => self.schedules.push(schedule(name, &event)?),
                    }
                }
            }
            kind if WITHOUT_MEANING.contains(&kind) => {}
            kind => return Err(unsupported(name, format!("there is no {kind} on one machine"))),
        }
        Ok(())
    }

    fn check_references(&self) -> Result<(), TemplateError> {
        let missing = |owner: &str, queue: &str| Err(unsupported(owner, format!("there is no queue {queue}")));
        for queue in &self.queues {
            if let Some(redrive) = &queue.redrive
                && self.queue(&redrive.target).is_none()
            {
                return missing(&queue.name, &redrive.target);
            }
        }
        for mapping in &self.mappings {
            let Some(queue) = self.queue(&mapping.queue) else {
                return missing(&mapping.function, &mapping.queue);
            };
            if Duration::from_secs(queue.visibility_s.into()) < mapping.timeout {
                // AWS refuses such a mapping.
                let problem = format!("its timeout is longer than the visibility timeout of {}", queue.name);
                return Err(unsupported(&mapping.function, problem));
            }
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(resource: &str, value: Value) -> Result<T, TemplateError> {
    serde_json::from_value(value).map_err(|source| TemplateError::Property {
        resource: resource.to_owned(),
        source,
    })
}

fn unsupported(resource: &str, problem: impl Into<String>) -> TemplateError {
    TemplateError::Unsupported {
        resource: resource.to_owned(),
        problem: problem.into(),
    }
}

fn queue(name: &str, properties: QueueProperties) -> Queue {
    Queue {
        name: name.to_owned(),
        visibility_s: properties.visibility_timeout,
        retention_s: properties.message_retention_period,
        redrive: properties.redrive_policy.map(|policy| Redrive {
            target: policy.dead_letter_target_arn.0,
            max_receives: policy.max_receive_count,
        }),
    }
}

fn mapping(
    function: &str,
    timeout: Duration,
    properties: SqsEventProperties,
) -> Result<EventSourceMapping, TemplateError> {
    let refuse = |problem: &str| Err(unsupported(function, problem));
    if properties.function_response_types != [PARTIAL_RESPONSE] {
        return refuse("its mapping must report partial failures (FunctionResponseTypes: [ReportBatchItemFailures])");
    }
    if !(1..=MAX_BATCH).contains(&properties.batch_size) {
        return refuse("its BatchSize must be 1 to 10: what one receive can fetch");
    }
    if properties.scaling_config.maximum_concurrency < 2 {
        return refuse("its MaximumConcurrency must be at least 2: AWS takes no less");
    }
    Ok(EventSourceMapping {
        function: function.to_owned(),
        timeout,
        queue: properties.queue.0,
        batch_size: properties.batch_size,
        window: Duration::from_secs(properties.maximum_batching_window_in_seconds.into()),
        maximum_concurrency: properties.scaling_config.maximum_concurrency,
    })
}

fn schedule(function: &str, properties: &ScheduleProperties) -> Result<Schedule, TemplateError> {
    let every = rate(&properties.schedule).ok_or_else(|| {
        let problem = format!("{} is no rate such as rate(1 minute)", properties.schedule);
        unsupported(function, problem)
    })?;
    Ok(Schedule {
        function: function.to_owned(),
        every,
    })
}

/// Reads `rate(5 minutes)`.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>
fn rate(text: &str) -> Option<Duration> {
    let (count, unit) = text.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let count: u32 = count.parse().ok().filter(|count| *count > 0)?;
    let unit_s = match (unit, count) {
        ("minute", 1) | ("minutes", 2..) => 60,
        ("hour", 1) | ("hours", 2..) => 3_600,
        ("day", 1) | ("days", 2..) => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(unit_s) * count)
}

fn table(name: &str, properties: TableProperties) -> Result<TableDescription, TemplateError> {
    let types = &properties.attribute_definitions;
    let indexes = properties.global_secondary_indexes.into_iter().map(|index| {
        Ok(IndexDescription {
            key: key(name, &index.key_schema, types)?,
            name: index.index_name,
            projection: match index.projection {
                ProjectionProperties::All => Projection::All,
                ProjectionProperties::KeysOnly => Projection::KeysOnly,
                ProjectionProperties::Include { non_key_attributes } => Projection::Include(non_key_attributes),
            },
        })
    });
    let ttl = properties.time_to_live_specification.filter(|ttl| ttl.enabled);
    Ok(TableDescription {
        name: name.to_owned(),
        key: key(name, &properties.key_schema, types)?,
        indexes: indexes.collect::<Result<_, TemplateError>>()?,
        ttl_attribute: ttl.map(|ttl| ttl.attribute_name),
    })
}

fn key(table: &str, schema: &[KeyElement], types: &[AttributeDefinition]) -> Result<Key, TemplateError> {
    let attribute = |element: &KeyElement| {
        let definition = types.iter().find(|it| it.attribute_name == element.attribute_name);
        let definition = definition.ok_or_else(|| {
            let problem = format!("AttributeDefinitions does not define {}", element.attribute_name);
            unsupported(table, problem)
        })?;
        Ok(Attribute {
            name: element.attribute_name.clone(),
            kind: match definition.attribute_type {
                AttributeType::S => AttributeKind::String,
                AttributeType::N => AttributeKind::Number,
                AttributeType::B => AttributeKind::Binary,
            },
        })
    };
    match schema {
        [hash] if hash.key_type == KeyType::Hash => Ok(Key {
            partition: attribute(hash)?,
            sort: None,
        }),
        [hash, range] if (hash.key_type, range.key_type) == (KeyType::Hash, KeyType::Range) => Ok(Key {
            partition: attribute(hash)?,
            sort: Some(attribute(range)?),
        }),
        _ => Err(unsupported(table, "a key is a HASH, or a HASH and then a RANGE")),
    }
}
