-- What mixes tokens in a layer: an fv.attention or an fv.rule, by name or by value.

local fv = require "fovea"
local options = require "fovea.options"

local mixer = {}

--- Whether that names or is a rule, and the name alone, or nil of a value; 'who' has it as 'option'.
function mixer.find(given, who, option)
  if type(given) ~= "string" then
    if type(given) == "table" and rawget(given, "kind") == "attention" then return false end
    if type(given) == "table" and rawget(given, "apply") then return true end
    error(("%s: option '%s': expected a name, an fv.attention or an fv.rule, got %s"):format(who, option,
          options.type(given)), 0)
  end
  local word, attentions, rules = given:match "^rule:(.+)$", fv.attention.names(), fv.rule.names()
  for _, name in ipairs(word and {} or attentions) do
    if name == given then return false, given end
  end
  for _, name in ipairs(rules) do
    if name == (word or given) then return true, name end
  end
  local near = options.nearest(given, table.move(rules, 1, #rules, #attentions + 1, attentions))
  error(("%s: option '%s': no attention or rule is named '%s'%s"):format(who, option, given,
        near and ("; did you mean '%s'?"):format(near) or ""), 0)
end

return mixer
