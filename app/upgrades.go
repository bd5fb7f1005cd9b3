package app

func (app *App) registerUpgrades() error { return nil }
