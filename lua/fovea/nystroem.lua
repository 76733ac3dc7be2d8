--- fv.nystroem{kernel=, landmarks=, rule=, core=, seed=} -> map: Nystrom features, to be fitted to points
--- The same as fv.map("nystroem", options), whose page has the options and what the map answers.
--- fit(x) chooses the landmarks and returns the fitted map.
--- Example: phi = fv.nystroem{kernel={"gaussian", scale=0.2}, landmarks=256, rule="kmeans"}:fit(x)

local map = require "fovea.map"

return function(given) return map.make("nystroem", given, 2) end
