//! Which files of a folder are taken: `--include` and `--exclude` globs (the `globset` crate).

use std::collections::HashSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{FolderError, FolderPath};
use crate::model::ParseError;

/// A choice among the files of a folder; by default all of them.
///
/// A glob without `/` is held against each name on the way to a file, one with `/` against the path from the folder's top.
/// What it matches is meant with all that lies in it. `*` and `?` do not match `/`; `**` does.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    include: Option<Include>,
    exclude: GlobSet,
}

/// What is taken, when not everything is.
#[derive(Debug, Clone)]
struct Include {
    set: GlobSet,
    /// The globs of the set, as they were given.
    globs: Vec<String>,
}

impl Selection {
    /// The files that one of `include` matches (when there are any) and none of `exclude`.
    ///
    /// # Errors
    ///
    /// When one is no glob.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, ParseError> {
        let included = || Ok(Include { set: set(include)?, globs: include.to_vec() });
        let include = if include.is_empty() { None } else { Some(included()?) };
        Ok(Self { include, exclude: set(exclude)? })
    }

    /// Whether everything is taken.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty()
    }

    /// Whether a file is taken.
    #[must_use]
    pub fn takes(&self, path: &FolderPath) -> bool {
        self.takes_path(path.as_str())
    }

    /// The same for a path that a sealed folder may not be able to hold.
    pub(super) fn takes_path(&self, path: &str) -> bool {
        let included = |include: &Include| above_and(path).any(|path| include.set.is_match(path));
        self.include.as_ref().is_none_or(included) && !self.leaves_out(path)
    }

    /// Whether a directory is left out with all that lies in it, or a file is.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        above_and(path).any(|path| self.exclude.is_match(path))
    }

    /// Whether directories are taken for their own sake, and not only for the files in them.
    pub(super) fn takes_empty_directories(&self) -> bool {
        self.include.is_none()
    }

    /// Makes sure that each glob of what is taken matches one of these files: one that does not is a slip of the pen.
    ///
    /// # Errors
    ///
    /// When one does not.
    pub fn expect_matches<'files>(
        &self,
        files: impl IntoIterator<Item = &'files FolderPath>,
    ) -> Result<(), FolderError> {
        let Some(Include { set, globs }) = &self.include else { return Ok(()) };
        let mut seen = HashSet::new();
        for file in files {
            seen.extend(above_and(file.as_str()).flat_map(|path| set.matches(path)));
        }
        match globs.iter().enumerate().find(|(number, _)| !seen.contains(number)) {
            Some((_, glob)) => Err(FolderError::NothingMatches { glob: glob.clone() }),
            None => Ok(()),
        }
    }
}

/// A path and those of all directories that it lies in.
fn above_and(path: &str) -> impl Iterator<Item = &str> {
    let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    above.chain(std::iter::once(path))
}

fn set(globs: &[String]) -> Result<GlobSet, ParseError> {
    let wrong = |glob: &str, error: &globset::Error| {
        ParseError::new(format!("`{glob}` is no glob: {}", error.kind()))
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let trimmed = glob.strip_suffix('/').unwrap_or(glob);
        let anywhere = if trimmed.contains('/') { trimmed.to_owned() } else { format!("**/{trimmed}") };
        let anchored = anywhere.strip_prefix("./").or(anywhere.strip_prefix('/')).unwrap_or(&anywhere);
        let built = GlobBuilder::new(anchored).literal_separator(true).backslash_escape(true).build();
        set.add(built.map_err(|error| wrong(glob, &error))?);
    }
    set.build().map_err(|error| wrong(&globs.join("`, `"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(include: &[&str], exclude: &[&str]) -> Vec<&'static str> {
        let own = |globs: &[&str]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
        let selection = Selection::new(&own(include), &own(exclude)).unwrap();
        let all = ["a.bin", "a.txt", "data/a.bin", "data/deep/b.bin", "data/deep/c.tmp", "other/data"];
        all.into_iter().filter(|path| selection.takes(&path.parse().unwrap())).collect()
    }

    #[test]
    fn a_glob_is_of_names_or_of_paths_and_means_what_lies_in_it_too() {
        assert_eq!(taken(&[], &[]).len(), 6);
        assert_eq!(taken(&["*.bin"], &[]), ["a.bin", "data/a.bin", "data/deep/b.bin"]);
        assert_eq!(taken(&["/*.bin"], &[]), ["a.bin"]);
        assert_eq!(taken(&["./a.bin"], &[]), ["a.bin"]);
        assert_eq!(taken(&["data/*.bin"], &[]), ["data/a.bin"]);
        assert_eq!(taken(&["data/**/*.bin"], &[]), ["data/a.bin", "data/deep/b.bin"]);
        assert_eq!(taken(&["deep/"], &[]), ["data/deep/b.bin", "data/deep/c.tmp"]);
        assert_eq!(taken(&["*.bin"], &["deep"]), ["a.bin", "data/a.bin"]);
        assert_eq!(taken(&[], &["data/deep", "*.txt"]), ["a.bin", "data/a.bin", "other/data"]);
        assert_eq!(taken(&["nothing"], &[]), Vec::<&str>::new());
    }

    #[test]
    fn a_glob_that_matches_nothing_is_named() {
        let files = ["a.bin", "data/b.bin"].map(|path| path.parse().unwrap());
        let unmatched = |globs: &[&str]| {
            let globs: Vec<String> = globs.iter().map(ToString::to_string).collect();
            Selection::new(&globs, &["b.bin".into()]).unwrap().expect_matches(&files)
        };
        assert!(unmatched(&[]).is_ok());
        assert!(unmatched(&["*.bin", "data"]).is_ok());
        assert!(
            matches!(unmatched(&["*.bin", "date", "x"]), Err(FolderError::NothingMatches { glob }) if glob == "date")
        );
    }

    #[test]
    fn what_is_no_glob_is_refused_in_the_users_words() {
        let error = Selection::new(&["a[".into()], &[]).unwrap_err();
        assert!(error.to_string().starts_with("`a[` is no glob: "), "{error}");
        assert!(Selection::new(&[], &["{a".into()]).is_err());
    }
}
