//! `leadgate source`: HTTP Basic credentials that send leads in. A password is printed once, when it is made.

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::output::Output;
use crate::domain::admin::Admin;
use crate::model::SiteId;
use crate::model::source::{Reach, Source, Username};

#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// Add a source; its password is shown once
    Add {
        /// What it logs in with
        username: Username,
        /// A site that it may send to; can be repeated; without it, all sites
        #[arg(long = "site", value_name = "UUID")]
        sites: Vec<SiteId>,
    },
    /// List all sources
    List,
    /// Remove a source
    Remove {
        /// The source
        username: Username,
    },
}

impl SourceCommand {
    pub async fn run(self, admin: &Admin, output: &Output) -> Result<(), CliError> {
        match self {
            SourceCommand::Add { username, sites } => {
                let reach = if sites.is_empty() { Reach::All } else { Reach::Only(sites) };
                let made = admin.add_source(username, reach).await?;
                let (name, password) = (made.username.as_str(), made.password.expose());
                let text =
                    format!("Added {name}. The password is shown only now.\nusername  {name}\npassword  {password}");
                output.show(&json!({ "username": name, "password": password }), text)
            }
            SourceCommand::List => list(&admin.sources().await?, output),
            SourceCommand::Remove { username } => {
                admin.remove_source(&username).await?;
                let name = username.as_str();
                output.show(&json!({ "username": name }), format!("Removed {name}."))
            }
        }
    }
}

/// The sites that a source may send to; `None`: all.
fn sites(source: &Source) -> Option<Vec<String>> {
    match &source.reach {
        Reach::All => None,
        Reach::Only(sites) => Some(sites.iter().map(SiteId::to_string).collect()),
    }
}

fn list(sources: &[Source], output: &Output) -> Result<(), CliError> {
    let document = |source: &Source| -> Value {
        json!({ "username": source.username.as_str(), "sites": sites(source), "created": source.created.to_string() })
    };
    let row = |source: &Source| {
        let reach = sites(source).map_or("all".to_owned(), |sites| sites.join(" "));
        vec![source.username.as_str().to_owned(), reach]
    };
    let rows: Vec<_> = sources.iter().map(row).collect();
    output.list(sources.iter().map(document).collect(), &["USERNAME", "SITES"], &rows, "There are no sources yet.")
}
