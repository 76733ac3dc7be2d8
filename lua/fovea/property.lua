--- fv.property(name) -> property: what fv.check looks for, one file each in fovea/checks
--- kinds says which things it is about; property.applies(subject) -> true, or false and why it
--- is not tested; property.test(subject) -> { figure, bound, note }, which passes where
--- figure <= bound; without a bound the figure is reported only. A subject is described at
--- the top of fovea/subject.lua. fv.property.register adds one of yours to every check.
--- Example: fv.property.help("causal")

return require "fovea.registry".new {
  kind = "property", folder = "fovea.checks", extra = { kinds = "string" }
}
