//! What a task function turns into.

use std::fmt;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Attribute;
use syn::spanned::Spanned;

use crate::parse::Function;

/// Which attribute.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Orchestrator,
    Activity,
}

/// The word for messages; in alternate form the type of its context.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self, f.alternate()) {
            (Self::Orchestrator, false) => "orchestrator",
            (Self::Activity, false) => "activity",
            (Self::Orchestrator, true) => "OrchestrationContext",
            (Self::Activity, true) => "ActivityContext",
        })
    }
}

pub(crate) fn expand(kind: Kind, function: &Function) -> TokenStream {
    let Function {
        name,
        version,
        time_limit_seconds,
        item,
        context,
        input,
        output,
    } = function;
    let (vis, ident, block) = (&item.vis, &item.sig.ident, &item.block);
    let (outer, inner): (Vec<_>, Vec<_>) = item.attrs.iter().partition(|a| is_outer(a));
    let cfg: Vec<_> = outer.iter().filter(|a| a.path().is_ident("cfg")).collect();
    let worker = quote!(::durabletask_worker);
    // What stands for the task as a value is a function that makes it: a unit struct or constant
    // would turn every `let hello = …` in its scope into a pattern.
    //
    // The body keeps the name out of its scope, so that `countdown` in `countdown` means the
    // task: that is what an orchestrator that calls itself passes to `call_child`.
    let body = format_ident!("__{}", ident, span = ident.span());
    let input_type = &input.ty;
    let call = quote_spanned!(context.ty.span()=> #body(context, input));
    let result = quote_spanned! {output.span()=>
        #worker::__private::IntoOutcome::into_outcome(result)
    };
    let (task, receiver, context_type, lifetime) = match kind {
        Kind::Orchestrator => (
            quote!(Orchestrator),
            quote!(),
            quote!(OrchestrationContext),
            quote!(+ 'static),
        ),
        Kind::Activity => (
            quote!(Activity),
            quote!(&self,),
            quote!(ActivityContext),
            quote!(),
        ),
    };
    let output_type = quote_spanned! {output.span()=>
        <#output as #worker::__private::IntoOutcome>::Output
    };
    let version = version
        .as_ref()
        .map(|version| quote!(const VERSION: &'static str = #version;));
    let time_limit = time_limit_seconds.as_ref().map(|seconds| {
        quote! {
            const TIME_LIMIT: ::core::option::Option<::core::time::Duration> =
                ::core::option::Option::Some(::core::time::Duration::from_secs(#seconds));
        }
    });
    quote! {
        #(#outer)*
        #[must_use]
        #vis fn #ident() -> #ident {
            #ident {}
        }

        #(#cfg)*
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #[derive(Debug, Clone, Copy)]
        #vis struct #ident {}

        #(#cfg)*
        impl #worker::#task for #ident {
            const NAME: &'static str = #name;
            #version
            #time_limit
            type Input = #input_type;
            type Output = #output_type;

            fn run(
                #receiver
                context: #worker::#context_type,
                input: Self::Input,
            ) -> impl ::core::future::Future<
                Output = ::core::result::Result<Self::Output, #worker::Failure>,
            > + ::core::marker::Send #lifetime {
                #(#inner)*
                #[allow(clippy::unused_async, clippy::ignored_unit_patterns)]
                async fn #body(#context, #input) -> #output #block

                async move {
                    let result = #call.await;
                    #result
                }
            }
        }
    }
}

/// Attributes that say something about the item and not about the code in it.
fn is_outer(attribute: &Attribute) -> bool {
    ["doc", "cfg", "deprecated"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}
