class Hello {
    static void Main() {
        System.Threading.Thread.Sleep(-1);
    }
}
