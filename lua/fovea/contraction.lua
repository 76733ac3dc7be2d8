--- Warns where a delta rule's memory grows: the transition I - beta k p' has the eigenvalue
--- 1 - beta (k.p) once and 1 otherwise, so beyond beta (k.p) = 2 what is stored is amplified
--- at every token. One line on standard error, once in a process; nothing else changes.

local warned = false

--- k and p are (..., n, d), beta (..., n) or nil for 1. Costs one pass over them.
return function(k, p, beta)
  if warned or k:numel() == 0 then return end
  local size = (k * p):sum(-1)
  if beta then size = size * beta end
  local worst = size:numel() > 0 and size:max():item() or 0
  if worst > 2 then
    warned = true
    io.stderr:write(("fovea: warning: a delta rule with beta k.k = %.4g > 2 amplifies its state; "
      .. "normalise the keys or lower beta (told once)\n"):format(worst))
  end
end
