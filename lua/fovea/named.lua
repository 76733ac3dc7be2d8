--- Options that name something chosen by name: "kmeans", {"kmeans", iterations=10}, or the made
--- thing itself.

local options = require "fovea.options"

--- The thing of the registry that 'value' stands for, its options those of 'value' and, where it
--- has no say, of 'rest'. 'who' and 'option' are for messages.
return function(factory, value, rest, who, option)
  if type(value) == "table" and rawget(value, "kind") == factory.kind then return value end
  local given = {}
  if type(value) == "table" then
    for key, v in pairs(value) do given[key] = v end
    value, given[1] = given[1], nil
  end
  if type(value) ~= "string" then
    error(("%s: option '%s': expected a name, {name, options} or a %s, got a %s"):format(who, option,
          factory.kind, options.type(value)), 0)
  end
  for key, v in pairs(rest) do
    if given[key] == nil then given[key] = v end
  end
  return factory.make(value, given, 4)
end
