--- Fovea: a workbench for attention research.

return require "fovea.core"
