//! Why a deployment cannot be worked on with AWS credentials: in sentences that say what to do. AWS's codes decide, never
//! its texts; no credential is told.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use redial_platform::store::StoreError;

/// A deployment cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum StackError {
    /// Nothing gives credentials.
    #[error(
        "there are no AWS credentials: give --profile or AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
         (`aws configure` makes a profile)"
    )]
    NoCredentials,
    /// Something should give credentials, and does not.
    #[error("the AWS credentials cannot be had; if the profile signs in with SSO, run `aws sso login` again")]
    Credentials(#[source] CredentialsError),
    /// Nothing names a region.
    #[error("there is no AWS region: give --region, or set AWS_REGION or the profile's region")]
    NoRegion,
    /// There is no such stack where we looked.
    #[error("there is no stack {stack} in {region}: is it in another region (--region) or account (--profile)?")]
    NoStack {
        /// Its name.
        stack: String,
        /// The region looked at.
        region: String,
    },
    /// The stack is there, and is something else.
    #[error("the stack {stack} is no Redial, or its deployment has not finished: it has no output {output}")]
    NotRedial {
        /// Its name.
        stack: String,
        /// What it lacks.
        output: &'static str,
    },
    /// The credentials are good, and may not.
    #[error("access denied: these AWS credentials may not {action}; whoever deploys Redial needs it")]
    Denied {
        /// The IAM action that is missing.
        action: &'static str,
    },
    /// The credentials were good once.
    #[error("the AWS credentials have expired: get new ones (`aws sso login`, or a new session token)")]
    Expired,
    /// AWS does not know the credentials.
    #[error("AWS does not accept these credentials ({code}): is the access key right, and is this machine's clock?")]
    NotAccepted {
        /// AWS's code.
        code: String,
    },
    /// What the stack names is not there.
    #[error("{action} found nothing ({code}): was it deleted, or is the region another one (--region)?")]
    Gone {
        /// The IAM action.
        action: &'static str,
        /// AWS's code.
        code: String,
    },
    /// AWS refused for another reason.
    #[error("{action} was refused: {code}: {message}")]
    Refused {
        /// The IAM action.
        action: &'static str,
        /// AWS's code; empty if it gave none.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// AWS does not answer.
    #[error("AWS cannot be reached for {action}")]
    Unreachable {
        /// The IAM action.
        action: &'static str,
        /// What the client said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request could not be written, or the answer not be read.
    #[error("{action} was not understood: {what}")]
    NotUnderstood {
        /// The IAM action.
        action: &'static str,
        /// What is wrong.
        what: String,
    },
}

impl StackError {
    /// Why a provider gave no credentials.
    pub(super) fn credentials(error: CredentialsError) -> Self {
        match error {
            CredentialsError::CredentialsNotLoaded(_) => Self::NoCredentials,
            other => Self::Credentials(other),
        }
    }

    /// What AWS's code means for `action`.
    pub(super) fn refused(action: &'static str, code: &str, message: &str) -> Self {
        let code_text = || code.to_owned();
        match code {
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "KMSAccessDeniedException" => {
                Self::Denied { action }
            }
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Self::Expired,
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "MissingAuthenticationToken" => Self::NotAccepted { code: code_text() },
            "ResourceNotFoundException" | "AWS.SimpleQueueService.NonExistentQueue" | "QueueDoesNotExist" => {
                Self::Gone {
                    action,
                    code: code_text(),
                }
            }
            _ => Self::Refused {
                action,
                code: code_text(),
                message: message.to_owned(),
            },
        }
    }

    /// What an error of SQS means for `action`.
    pub(in super::super) fn sqs<E, R>(action: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        move |error| match error.code() {
            Some(code) => Self::refused(action, code, error.message().unwrap_or_default()),
            None => Self::Unreachable {
                action,
                source: error.into(),
            },
        }
    }

    /// What an error of the store means for `action`, the only call that was made.
    pub(in super::super) fn store(action: &'static str, error: StoreError) -> Self {
        match error {
            StoreError::Dynamo {
                code: Some(code),
                source,
                ..
            } => Self::refused(action, &code, &source.to_string()),
            StoreError::Dynamo { code: None, source, .. } => Self::Unreachable { action, source },
            other => Self::NotUnderstood {
                action,
                what: other.to_string(),
            },
        }
    }

    /// True if another try, or other credentials, may help; false if what was asked for is not there.
    pub(in super::super) const fn is_about_access(&self) -> bool {
        !matches!(self, Self::NoStack { .. } | Self::NotRedial { .. } | Self::Gone { .. })
    }
}
