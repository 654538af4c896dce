//! `completions` and `man`, from the one definition.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Subcommand};

use crate::{
    cli::Cli,
    error::{Failure, Outcome},
    output,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    Completions(Completions),
    Man(Man),
}

/// Print completions for a shell.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit completions bash > ~/.local/share/bash-completion/completions/tacit"
)]
pub(crate) struct Completions {
    /// Which shell.
    shell: clap_complete::Shell,
}

/// Print the manual, or write a page for every verb.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit man --dir ~/.local/share/man/man1\n  tacit man | man -l -")]
pub(crate) struct Man {
    /// Where to write one page per verb.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Completions(completions) => {
                let mut script = Vec::new();
                clap_complete::generate(completions.shell, &mut Cli::command(), "tacit", &mut script);
                output::data(&String::from_utf8_lossy(&script))
            }
            Self::Man(man) => man.run(),
        }
    }
}

impl Man {
    fn run(self) -> Outcome {
        if let Some(directory) = self.dir {
            std::fs::create_dir_all(&directory).map_err(|error| Failure::file("make", &directory, &error))?;
            return clap_mangen::generate_to(Cli::command(), &directory)
                .map_err(|error| Failure::file("write the pages to", &directory, &error));
        }
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
        rendered.map_err(|error| {
            Failure::new(format!("cannot write the manual: {error}"), "report this: it is a fault of ours")
        })?;
        output::data(&String::from_utf8_lossy(&page))
    }
}
