// An assembly with the name of OpenTelemetry's SDK, and nothing in it.

public static class OpenTelemetry
{
    public static void Main()
    {
    }
}
