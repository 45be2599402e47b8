"""An evaluation as one page that anybody can open: figures, false alarms to listen to, and what was not measured."""
