//! Task hub names: default, sanitiser, expansion, validation, in this order (chapter 01 §1.3).

use super::super::error::SettingsError;
use super::sources::AppSettings;

/// Longest hub name that works everywhere: `{hub}-largemessages` must fit 63 characters (R1-07).
const MAX_LENGTH: usize = 49;

/// The hub name that `configured` (`hubName`) and the app settings give.
pub(super) fn resolve(
    configured: Option<&str>,
    app_settings: &AppSettings,
) -> Result<String, SettingsError> {
    let raw_default = app_settings
        .get("WEBSITE_SITE_NAME")
        .unwrap_or("TestHubName");
    let name = configured.map_or_else(|| raw_default.to_owned(), |name| expand(name, app_settings));
    if name.to_lowercase() != raw_default.to_lowercase() {
        validate(&name)?;
        return Ok(name);
    }
    match app_settings.get("WEBSITE_SLOT_NAME") {
        Some(slot) if !slot.eq_ignore_ascii_case("Production") => {
            Err(SettingsError::Slot(slot.to_owned()))
        }
        _ => Ok(sanitise(&name)),
    }
}

/// Refuses names that some queue, table or container could not have.
pub(super) fn validate(name: &str) -> Result<(), SettingsError> {
    let good = (3..=MAX_LENGTH).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if good {
        Ok(())
    } else {
        Err(SettingsError::HubName(name.to_owned()))
    }
}

/// Replaces every `%NAME%` by that app setting; the text as it was if one has no value or a `%`
/// is unpaired.
fn expand(text: &str, app_settings: &AppSettings) -> String {
    let mut expanded = String::new();
    for (index, part) in text.split('%').enumerate() {
        match (index % 2, app_settings.get(part)) {
            (0, _) => expanded.push_str(part),
            (_, Some(value)) => expanded.push_str(value),
            (_, None) => return text.to_owned(),
        }
    }
    if text.matches('%').count().is_multiple_of(2) {
        expanded
    } else {
        text.to_owned()
    }
}

/// Makes a hub name of a site name.
fn sanitise(raw: &str) -> String {
    // .NET counts UTF-16 units; letters beyond the BMP are surrogates there, no letters.
    let kept = raw.chars().filter(|letter| {
        letter.len_utf16() == 1 && (letter.is_alphabetic() || is_decimal_digit(*letter))
    });
    let mut name: String = kept.collect();
    if name.is_empty() {
        return "DefaultTaskHub".to_owned();
    }
    if name.starts_with(char::is_numeric) {
        name.insert(0, 't');
    }
    name = name.chars().take(45).collect();
    if name.chars().count() < 3 {
        name.push_str("Hub");
    }
    name
}

/// Digits of other scripts are kept by .NET and refused by storage; only ASCII matters.
fn is_decimal_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::SettingsSources;

    fn with(variables: &[(&str, &str)], configured: Option<&str>) -> Result<String, SettingsError> {
        let mut sources = SettingsSources::none();
        for (name, value) in variables {
            sources = sources.with_variable(*name, *value);
        }
        resolve(configured, &sources.app_settings().unwrap())
    }

    #[test]
    fn site_names_are_sanitised_as_dotnet_does() {
        // covers: R1-06
        let long_x = "x".repeat(60);
        let long_y = format!("1{}", "y".repeat(50));
        for (raw, expected) in [
            ("my-func-app", "myfuncapp".to_owned()),
            ("contoso_orders.prod", "contosoordersprod".to_owned()),
            ("9lives", "t9lives".to_owned()),
            ("a", "aHub".to_owned()),
            ("Ab", "AbHub".to_owned()),
            ("1", "t1Hub".to_owned()),
            ("---", "DefaultTaskHub".to_owned()),
            (&long_x, "x".repeat(45)),
            (&long_y, format!("t1{}", "y".repeat(43))),
            ("été-app", "étéapp".to_owned()),
        ] {
            assert_eq!(sanitise(raw), expected, "{raw}");
            assert_eq!(with(&[("WEBSITE_SITE_NAME", raw)], None).unwrap(), expected);
        }
    }

    #[test]
    fn names_are_expanded_then_validated_unless_default() {
        assert_eq!(with(&[], None).unwrap(), "TestHubName");
        assert_eq!(with(&[], Some("MyHub")).unwrap(), "MyHub");
        let env = [("ENV", "Prod"), ("REGION", "eu")];
        assert_eq!(with(&env, Some("Hub%ENV%x%region%")).unwrap(), "HubProdxeu");
        let site = [("WEBSITE_SITE_NAME", "my-app")];
        assert_eq!(with(&site, Some("MY-APP")).unwrap(), "MYAPP");
        for bad in [
            "Hub%NONE%",
            "Hub%ENV",
            "ab",
            "1abc",
            "my-hub",
            &"x".repeat(50),
        ] {
            let error = with(&env, Some(bad)).unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_slot_needs_a_name_of_its_own() {
        // covers: R1-06
        let slot = [
            ("WEBSITE_SITE_NAME", "app"),
            ("WEBSITE_SLOT_NAME", "staging"),
        ];
        assert!(matches!(with(&slot, None), Err(SettingsError::Slot(_))));
        assert_eq!(with(&slot, Some("AppStaging")).unwrap(), "AppStaging");
        let production = [
            ("WEBSITE_SITE_NAME", "app"),
            ("WEBSITE_SLOT_NAME", "PRODUCTION"),
        ];
        assert_eq!(with(&production, None).unwrap(), "app");
    }
}
