//! What the attributes accept, and what they say about the rest.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, ItemFn, LitInt, LitStr, PatType, Result, ReturnType, Signature, Token, Type,
};

use crate::expand::Kind;

/// A function that can be made a task.
pub(crate) struct Function {
    pub(crate) name: LitStr,
    pub(crate) version: Option<LitStr>,
    pub(crate) time_limit_seconds: Option<LitInt>,
    pub(crate) item: ItemFn,
    pub(crate) context: PatType,
    pub(crate) input: PatType,
    pub(crate) output: Type,
}

impl Function {
    pub(crate) fn parse(kind: Kind, options: TokenStream, item: TokenStream) -> Result<Self> {
        let Options {
            name,
            version,
            time_limit_seconds,
        } = syn::parse2(options)?;
        if matches!(kind, Kind::Activity) {
            refuse(version.as_ref(), kind, "has no version of its own")?;
        }
        let item: ItemFn = syn::parse2(item).map_err(|error| {
            let message = format!("#[{kind}] goes on an async function: {error}");
            Error::new(error.span(), message)
        })?;
        let sig = &item.sig;
        refuse(sig.constness, kind, "cannot be const")?;
        refuse(sig.unsafety, kind, "cannot be unsafe")?;
        refuse(sig.abi.as_ref(), kind, "cannot be extern")?;
        refuse(sig.variadic.as_ref(), kind, "cannot be variadic")?;
        let generics = &sig.generics;
        if !generics.params.is_empty() {
            let why = "cannot be generic: its wire name stands for one input and one output type";
            refuse(Some(&generics.params), kind, why)?;
        }
        refuse(
            generics.where_clause.as_ref(),
            kind,
            "cannot have a where clause",
        )?;
        if sig.asyncness.is_none() {
            let message = format!("an {kind} is an async function: write `async fn`");
            return Err(Error::new_spanned(sig.fn_token, message));
        }
        let (context, input) = arguments(kind, sig)?;
        let output = match &sig.output {
            ReturnType::Type(_, output) => (**output).clone(),
            ReturnType::Default => {
                let message = format!("an {kind} returns a `Result`; `Result<()>` if it has none");
                return Err(Error::new_spanned(&sig.ident, message));
            }
        };
        let name = name.unwrap_or_else(|| {
            let name = sig.ident.to_string();
            LitStr::new(name.trim_start_matches("r#"), sig.ident.span())
        });
        Ok(Self {
            name,
            version,
            time_limit_seconds,
            item,
            context,
            input,
            output,
        })
    }
}

fn arguments(kind: Kind, sig: &Signature) -> Result<(PatType, PatType)> {
    let typed: Vec<&PatType> = sig
        .inputs
        .iter()
        .map(|argument| match argument {
            FnArg::Typed(typed) => Ok(typed),
            FnArg::Receiver(receiver) => {
                let message = format!("an {kind} is a free function, without `self`");
                Err(Error::new_spanned(receiver, message))
            }
        })
        .collect::<Result<_>>()?;
    match typed[..] {
        [context, input] => Ok((context.clone(), input.clone())),
        [_, _, extra, ..] => Err(Error::new(
            extra.span(),
            format!("an {kind} takes one input besides its context: use a struct or a tuple"),
        )),
        _ => Err(Error::new(
            sig.paren_token.span.join(),
            format!(
                "an {kind} takes its context and one input: `(ctx: {kind:#}, input: T)`, or `_: ()` without input"
            ),
        )),
    }
}

fn refuse<T: ToTokens>(found: Option<T>, kind: Kind, why: &str) -> Result<()> {
    found.map_or(Ok(()), |tokens| {
        Err(Error::new_spanned(tokens, format!("an {kind} {why}")))
    })
}

/// `name = "…", version = "…", time_limit_seconds = …`, each at most once.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    version: Option<LitStr>,
    time_limit_seconds: Option<LitInt>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let key: syn::Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            let is_given_twice = match key.to_string().as_str() {
                "name" => options.name.replace(not_blank(input)?).is_some(),
                "version" => options.version.replace(not_blank(input)?).is_some(),
                "time_limit_seconds" => {
                    let seconds: LitInt = input.parse()?;
                    if seconds.base10_parse::<u64>()? == 0 {
                        let message = "a time limit is at least 1 second";
                        return Err(Error::new_spanned(seconds, message));
                    }
                    options.time_limit_seconds.replace(seconds).is_some()
                }
                _ => {
                    let message = "the options are `name = \"…\"`, `version = \"…\"` \
                                   (orchestrators) and `time_limit_seconds = …`";
                    return Err(Error::new_spanned(key, message));
                }
            };
            if is_given_twice {
                return Err(Error::new_spanned(key, "an option is given once"));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

fn not_blank(input: ParseStream<'_>) -> Result<LitStr> {
    let text: LitStr = input.parse()?;
    if text.value().trim().is_empty() {
        return Err(Error::new_spanned(text, "a name or version is not blank"));
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests {
    use quote::quote;

    use super::*;

    fn refused(options: TokenStream, item: TokenStream) -> String {
        match Function::parse(Kind::Activity, options, item) {
            Ok(function) => panic!("{} is accepted", function.name.value()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_no_task_is_refused_in_words() {
        for (item, message) in [
            (
                quote! { struct S; },
                "#[activity] goes on an async function",
            ),
            (quote! { fn f(_: C, _: ()) -> R {} }, "write `async fn`"),
            (quote! { async fn f(_: C, _: ()) {} }, "returns a `Result`"),
            (
                quote! { async fn f(_: C) -> R {} },
                "`(ctx: ActivityContext, input: T)`",
            ),
            (
                quote! { async fn f(_: C, a: A, b: B) -> R {} },
                "one input besides",
            ),
            (quote! { async fn f(&self, a: A) -> R {} }, "without `self`"),
            (
                quote! { async fn f<T>(_: C, a: T) -> R {} },
                "cannot be generic",
            ),
            (
                quote! { async unsafe fn f(_: C, a: A) -> R {} },
                "cannot be unsafe",
            ),
        ] {
            let said = refused(quote!(), item);
            assert!(said.contains(message), "{said}");
        }
        let item = quote! { async fn f(_: C, _: ()) -> R {} };
        for (options, message) in [
            (quote!(retries = 1), "the options are `name"),
            (quote!(name = " "), "not blank"),
            (quote!(version = "1"), "has no version of its own"),
            (quote!(time_limit_seconds = 0), "at least 1 second"),
            (quote!(name = "a", name = "b"), "given once"),
        ] {
            let said = refused(options, item.clone());
            assert!(said.contains(message), "{said}");
        }
    }

    #[test]
    fn the_wire_name_is_the_functions_own_or_the_one_given() {
        let item = quote! { pub(crate) async fn r#match(_: C, _: ()) -> R {} };
        let name = |options| Function::parse(Kind::Activity, options, item.clone()).map(|f| f.name);
        assert_eq!(name(quote!()).unwrap().value(), "match");
        assert_eq!(name(quote!(name = "Match")).unwrap().value(), "Match");
    }
}
