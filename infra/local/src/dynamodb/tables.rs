//! Tables made from a description at every start: a missing table or index is added, what is there stays, and a table
//! that contradicts its description is an error. Never drops an index, and never a table that holds an item.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, ProjectionType, TableDescription as Found, Tag,
    TimeToLiveSpecification, TimeToLiveStatus,
};

use super::Dynamo;
use super::description::{
    Attribute, IndexDescription, Key, Projection, TableDescription, described_key, found_key, found_types,
    is_same_projection, scalar,
};
use super::expiry::Expiring;

/// Set on a table with its last step of creation. The engine makes a table in several commits; one without this tag
/// was cut off in between.
const COMPLETE_TAG: &str = "redial:complete";

/// Why a table cannot be made as described.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The table is there with another key: its items cannot be found by the new one.
    #[error("table {table} exists with another key than described; it cannot be changed, only started anew")]
    DifferentKey {
        /// The table.
        table: String,
    },
    /// The index is there with another key or projection.
    #[error("index {index} of table {table} exists with another key or projection than described")]
    DifferentIndex {
        /// The table.
        table: String,
        /// The index.
        index: String,
    },
    /// Items of the table expire by another attribute.
    #[error("items of table {table} expire by {found}, not as described")]
    DifferentTtl {
        /// The table.
        table: String,
        /// The attribute in force.
        found: String,
    },
    /// DynamoDB refused a call, or the storage failed.
    #[error("table {table} cannot be made")]
    Call {
        /// The table.
        table: String,
        /// The refusal.
        source: Box<aws_sdk_dynamodb::Error>,
    },
}

impl Dynamo {
    /// Makes the table, its indexes and its expiry as described; what is there already stays as it is. An index that
    /// is not described is left alone.
    ///
    /// # Errors
    /// [`TableError`] if the table contradicts the description, the description itself is not valid, or the storage
    /// fails.
    pub async fn ensure(&self, description: &TableDescription) -> Result<(), TableError> {
        let client = self.client();
        let table = Table {
            client: &client,
            description,
        };
        match table.find().await? {
            Some(found) => table.complete(&found).await?,
            None => table.create().await?,
        }
        table.ensure_expiry().await?;
        if let Some(ttl_attribute) = &description.ttl_attribute {
            let key = &description.key;
            let key_attributes = std::iter::once(&key.partition)
                .chain(&key.sort)
                .map(|a| a.name.clone())
                .collect();
            self.expires(Expiring {
                table: description.name.clone(),
                ttl_attribute: ttl_attribute.clone(),
                key_attributes,
            });
        }
        Ok(())
    }
}

/// A table on its way to its description.
struct Table<'a> {
    client: &'a Client,
    description: &'a TableDescription,
}

impl Table<'_> {
    /// The table as it is; none if there is none, or was only the torso of one.
    async fn find(&self) -> Result<Option<Found>, TableError> {
        let found = match self
            .client
            .describe_table()
            .table_name(&self.description.name)
            .send()
            .await
        {
            Ok(answer) => answer.table,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception) =>
            {
                None
            }
            Err(error) => return Err(self.refused(error)),
        };
        let Some(found) = found else { return Ok(None) };
        if self.was_cut_off(&found).await? {
            self.client
                .delete_table()
                .table_name(&self.description.name)
                .send()
                .await
                .map_err(|error| self.refused(error))?;
            return Ok(None);
        }
        Ok(Some(found))
    }

    /// Whether the process died while it made the table: then no item was ever acknowledged in it.
    async fn was_cut_off(&self, found: &Found) -> Result<bool, TableError> {
        let arn = found.table_arn.clone().unwrap_or_default();
        let tags = self.client.list_tags_of_resource().resource_arn(arn).send().await;
        let tags = tags.map_err(|error| self.refused(error))?.tags.unwrap_or_default();
        if tags.iter().any(|tag| tag.key == COMPLETE_TAG) {
            return Ok(false);
        }
        // Somebody may have made it with a tool of their own: a table that holds something is never touched. Here the
        // count is exact; it is absent where the rows' own table is not there yet.
        Ok(found.item_count.unwrap_or(0) == 0)
    }

    async fn create(&self) -> Result<(), TableError> {
        let description = self.description;
        let indexes = description
            .indexes
            .iter()
            .map(|index| self.index(index))
            .collect::<Result<Vec<_>, _>>()?;
        let keys = std::iter::once(&description.key).chain(description.indexes.iter().map(|index| &index.key));
        self.client
            .create_table()
            .table_name(&description.name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(self.key_schema(&description.key)?))
            .set_attribute_definitions(Some(self.definitions(keys)?))
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
            .tags(
                Tag::builder()
                    .key(COMPLETE_TAG)
                    .value("true")
                    .build()
                    .map_err(|e| self.refused(e))?,
            )
            .send()
            .await
            .map_err(|error| self.refused(error))?;
        Ok(())
    }

    /// Adds the indexes that are missing; each at once holds what the table holds.
    async fn complete(&self, found: &Found) -> Result<(), TableError> {
        let description = self.description;
        let types = found_types(found);
        let has = |found: Option<&[KeySchemaElement]>, key: &Key| found_key(found, &types) == described_key(key);
        if !has(found.key_schema.as_deref(), &description.key) {
            return Err(TableError::DifferentKey {
                table: description.name.clone(),
            });
        }
        for index in &description.indexes {
            let there = found
                .global_secondary_indexes()
                .iter()
                .find(|there| there.index_name.as_deref() == Some(index.name.as_str()));
            match there {
                None => self.add(index).await?,
                Some(there)
                    if has(there.key_schema.as_deref(), &index.key)
                        && is_same_projection(there.projection.as_ref(), &index.projection) => {}
                Some(_) => {
                    return Err(TableError::DifferentIndex {
                        table: description.name.clone(),
                        index: index.name.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    async fn add(&self, index: &IndexDescription) -> Result<(), TableError> {
        let made = self.index(index)?;
        let action = CreateGlobalSecondaryIndexAction::builder()
            .index_name(made.index_name)
            .set_key_schema(Some(made.key_schema))
            .set_projection(made.projection)
            .build()
            .map_err(|error| self.refused(error))?;
        self.client
            .update_table()
            .table_name(&self.description.name)
            .set_attribute_definitions(Some(self.definitions([&self.description.key, &index.key])?))
            .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(action).build())
            .send()
            .await
            .map_err(|error| self.refused(error))?;
        Ok(())
    }

    async fn ensure_expiry(&self) -> Result<(), TableError> {
        let table = &self.description.name;
        let answer = self.client.describe_time_to_live().table_name(table).send().await;
        let found = answer
            .map_err(|error| self.refused(error))?
            .time_to_live_description
            .filter(|ttl| ttl.time_to_live_status == Some(TimeToLiveStatus::Enabled))
            .and_then(|ttl| ttl.attribute_name);
        match (found, &self.description.ttl_attribute) {
            (None, Some(attribute)) => {
                let specification = TimeToLiveSpecification::builder()
                    .attribute_name(attribute)
                    .enabled(true)
                    .build();
                self.client
                    .update_time_to_live()
                    .table_name(table)
                    .time_to_live_specification(specification.map_err(|error| self.refused(error))?)
                    .send()
                    .await
                    .map_err(|error| self.refused(error))?;
                Ok(())
            }
            (found, described) if found == *described => Ok(()),
            (found, _) => Err(TableError::DifferentTtl {
                table: table.clone(),
                found: found.unwrap_or_default(),
            }),
        }
    }

    fn key_schema(&self, key: &Key) -> Result<Vec<KeySchemaElement>, TableError> {
        let element = |attribute: &Attribute, kind: KeyType| {
            KeySchemaElement::builder()
                .attribute_name(&attribute.name)
                .key_type(kind)
                .build()
                .map_err(|error| self.refused(error))
        };
        let partition = element(&key.partition, KeyType::Hash);
        let sort = key.sort.iter().map(|attribute| element(attribute, KeyType::Range));
        std::iter::once(partition).chain(sort).collect()
    }

    fn definitions<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Result<Vec<AttributeDefinition>, TableError> {
        let attributes = keys
            .into_iter()
            .flat_map(|key| std::iter::once(&key.partition).chain(&key.sort));
        // One definition per name and type; the engine refuses a name with two types.
        let mut distinct: Vec<&Attribute> = Vec::new();
        for attribute in attributes {
            if !distinct.contains(&attribute) {
                distinct.push(attribute);
            }
        }
        distinct
            .into_iter()
            .map(|attribute| {
                AttributeDefinition::builder()
                    .attribute_name(&attribute.name)
                    .attribute_type(scalar(attribute.kind))
                    .build()
                    .map_err(|error| self.refused(error))
            })
            .collect()
    }

    fn index(&self, index: &IndexDescription) -> Result<GlobalSecondaryIndex, TableError> {
        let (kind, attributes) = match &index.projection {
            Projection::KeysOnly => (ProjectionType::KeysOnly, None),
            Projection::Include(attributes) => (ProjectionType::Include, Some(attributes.clone())),
            Projection::All => (ProjectionType::All, None),
        };
        let projection = aws_sdk_dynamodb::types::Projection::builder().projection_type(kind);
        GlobalSecondaryIndex::builder()
            .index_name(&index.name)
            .set_key_schema(Some(self.key_schema(&index.key)?))
            .projection(projection.set_non_key_attributes(attributes).build())
            .build()
            .map_err(|error| self.refused(error))
    }

    fn refused(&self, error: impl Into<aws_sdk_dynamodb::Error>) -> TableError {
        TableError::Call {
            table: self.description.name.clone(),
            source: Box::new(error.into()),
        }
    }
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
